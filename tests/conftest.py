"""With FIRSTSPIKE_NO_SKIP set, as `make test-slow` does, a skipped test is a failure.

Where the slow tier is left out, simulated cores are compiled with less optimization: they run for
so few cycles that compiling takes longer.
"""

import os

import pytest

pytest.register_assert_rewrite("tests.rtl.interruptions")


def pytest_configure(config):
    if config.option.markexpr == "not slow":
        os.environ.setdefault("FIRSTSPIKE_OPTIMIZE", "-O1")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.skipped and os.environ.get("FIRSTSPIKE_NO_SKIP"):
        report.outcome = "failed"
        report.longrepr = f"skipped: {report.longrepr}"
    return report
