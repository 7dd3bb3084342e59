"""--smallest: of each test, for each kernel, one case. For compute-sanitizer, under which kernels take up to a thousand times as
long."""


def pytest_addoption(parser):
    parser.addoption(
        "--smallest", action="store_true", help="of each test, for each kernel, only the case with the fewest rows (but more than one)"
    )


def kernel_and_size(item):
    """What a case is one of several of, and how large it is. The first of equals is kept."""
    parameters = item.callspec.params if hasattr(item, "callspec") else {}
    kernel = tuple(str(parameters[name]) for name in ("library", "name") if name in parameters)
    rows = next((parameters[name] for name in ("rows", "count") if name in parameters), None)
    return (item.module.__name__, item.originalname, kernel), (10**9 if rows is not None and rows < 2 else rows or 0)


def pytest_collection_modifyitems(config, items):
    if not config.getoption("--smallest"):
        return
    smallest = {}
    for item in items:
        key, size = kernel_and_size(item)
        if key not in smallest or size < smallest[key][0]:
            smallest[key] = size, item
    kept = [item for _, item in smallest.values()]
    config.hook.pytest_deselected(items=[item for item in items if item not in kept])
    items[:] = kept
