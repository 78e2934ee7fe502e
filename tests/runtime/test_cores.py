import pytest

from taichi_bokeh import _cores


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ({}, 8),
        ({"own": "0::/\n", "cpu.max": "max 100000\n"}, 8),
        ({"own": "0::/\n", "cpu.max": "300000 100000\n"}, 3),
        ({"own": "0::/\n", "cpu.max": "250000 100000\n"}, 3),
        ({"own": "0::/\n", "cpu.max": "1000 100000\n"}, 1),
        ({"own": "0::/\n", "cpu.max": "9900000 100000\n"}, 8),
        ({"own": "0::/a/b\n", "a/b/cpu.max": "max 100000\n", "a/cpu.max": "200000 100000\n"}, 2),
        ({"own": "4:cpu,cpuacct:/a\n", "cpu/a/cpu.cfs_quota_us": "400000\n", "cpu/a/cpu.cfs_period_us": "100000\n"}, 4),
        ({"own": "4:cpu,cpuacct:/\n", "cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, 8),
        ({"own": "3:memory:/\n", "memory/cpu.cfs_quota_us": "1\n"}, 8),
    ],
)
def test_a_containers_quota_limits_the_cores(tmp_path, monkeypatch, texts, expected):
    for name, text in texts.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.setattr(_cores, "_GROUPS", tmp_path)
    monkeypatch.setattr(_cores, "_OWN_GROUP", tmp_path / "own")
    monkeypatch.setattr(_cores, "_bound", lambda: 8)
    assert _cores.cores() == expected


def test_there_is_at_least_one_and_no_more_than_the_machine_has():
    assert 1 <= _cores.cores() <= _cores._bound()
