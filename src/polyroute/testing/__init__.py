"""Public fakes, and the conformance checks that every port's implementations pass, ours and anyone's."""
