from polyroute.dialects.openai_responses.names import is_made, made_id, without_made


def test_an_id_of_ours_is_the_same_each_time_and_known_again() -> None:
    made = made_id("msg", "chatcmpl-42", 1)
    assert made == made_id("msg", "chatcmpl-42", 1) == "msg_polyroute_1_chatcmpl_42"
    assert is_made(made)
    assert not is_made("msg_68b9bda81f5c")
    assert not is_made(None)


def test_an_id_is_never_longer_than_openai_takes() -> None:
    assert len(made_id("resp", "x" * 500)) == 64


def test_our_reasoning_is_left_out_and_our_ids_are_taken_off() -> None:
    items = [
        {"role": "user", "content": "x"},
        {"type": "reasoning", "id": made_id("rs", "a", 0), "summary": []},
        {"type": "function_call", "id": made_id("fc", "a", 1), "call_id": "c", "name": "f", "arguments": "{}"},
        {"type": "reasoning", "id": "rs_of_openai", "summary": [], "encrypted_content": "sealed"},
    ]
    assert without_made(items) == [
        items[0],
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
        items[3],
    ]


def test_items_without_any_of_ours_are_the_same_list() -> None:
    items = [{"role": "user", "content": "x"}, "not even an item"]
    assert without_made(items) is items
