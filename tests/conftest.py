"""With FIRSTSPIKE_NO_SKIP set, as `make test-slow` does, a skipped test is a failure."""

import os

import pytest

pytest.register_assert_rewrite("tests.rtl.interruptions")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.skipped and os.environ.get("FIRSTSPIKE_NO_SKIP"):
        report.outcome = "failed"
        report.longrepr = f"skipped: {report.longrepr}"
    return report
