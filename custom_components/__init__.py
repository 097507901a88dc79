"""A package, because a namespace would lose against the one that the test plugin brings."""
