"""Names in a body: Google's REST interface takes `inlineData` and `inline_data` alike (proto3's JSON mapping)."""

NAME = "gemini"
PATH_FIELDS = ("model", "stream")  # told by the path; the server puts them where `parse_request` reads them

Block = dict[str, object]


def camel(holder: Block) -> Block:
    """`holder` with every name in lowerCamelCase; itself where they are so already."""
    if any("_" in name for name in holder):
        return {camel_name(name): value for name, value in holder.items()}
    return holder


def camel_name(name: str) -> str:
    head, *tail = name.split("_")
    return head + "".join([word[:1].upper() + word[1:] for word in tail])


def spelling(holder: Block, name: str) -> str:
    """The name under which `holder` has `name`, which is given in lowerCamelCase."""
    return next((given for given in holder if camel_name(given) == name), name)
