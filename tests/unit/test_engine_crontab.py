"""A project's block in a crontab that is mostly somebody else's."""

from __future__ import annotations

import pytest

from mlorch.engine.crontab import CrontabError, Entry, block, drift, install, is_installed, line, remove

FLIGHTS = Entry("/home/dana/flights", ("/opt/v/bin/mlorch",), "/home/dana/flights/.mlorch")
HOTELS = Entry("/home/dana/hotels", ("/opt/v/bin/mlorch",), "/srv/state of/100%")
OTHERS = [
    "",
    "0 5 * * * tar zcf /var/backups/home.tgz /home/\n",
    "MAILTO=dana\n\n# a note\n*/5 * * * * date +\\%s >> /tmp/x\r\n\t\n\udcff\udcfe=1\n",
]


@pytest.mark.parametrize("text", OTHERS)
def test_installed_and_removed_leaves_every_byte(text: str) -> None:
    once = install(text, FLIGHTS)
    assert once == text + block(FLIGHTS)
    assert install(once, FLIGHTS) == once
    assert drift(once, FLIGHTS) == ()
    assert remove(once, FLIGHTS.project) == text
    assert remove(text, FLIGHTS.project) == text


def test_the_line_is_whole() -> None:
    assert line(FLIGHTS) == (
        "* * * * * mkdir -p -m 700 /home/dana/flights/.mlorch && "
        "PATH=/opt/v/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "
        "/opt/v/bin/mlorch tick --project /home/dana/flights >>/home/dana/flights/.mlorch/cron.log 2>&1"
    )
    assert ">>'/srv/state of/100\\%/cron.log' 2>&1" in line(HOTELS)


def test_two_projects_stand_side_by_side() -> None:
    both = install(install(OTHERS[2], FLIGHTS), HOTELS)
    assert drift(both, FLIGHTS) == drift(both, HOTELS) == ()
    assert remove(both, FLIGHTS.project) == OTHERS[2] + block(HOTELS)
    nested = Entry("/home/dana/flights/inner", FLIGHTS.program, "/x")
    assert not is_installed(both, nested.project)


def test_an_old_block_is_made_right_where_it_stands() -> None:
    text = "# first\n" + block(FLIGHTS).replace("/opt/v", "/opt/old") + "# last\n"
    assert [(item.wanted, "/opt/old/bin/mlorch tick" in item.found) for item in drift(text, FLIGHTS)] == [
        (line(FLIGHTS), True)
    ]
    assert install(text, FLIGHTS) == "# first\n" + block(FLIGHTS) + "# last\n"


def test_what_differs_is_found() -> None:
    good = block(FLIGHTS)
    lines = good.splitlines(keepends=True)
    assert [item.what for item in drift("", FLIGHTS)] == ["the crontab has no block for this project"]
    assert "2 times" in drift(good + good, FLIGHTS)[0].what
    assert install(good + "# mine\n" + good, FLIGHTS) == good + "# mine\n"
    commented = drift(good.replace("* * * * *", "#* * * * *"), FLIGHTS)
    assert (commented[0].found, commented[0].wanted) == ("#" + line(FLIGHTS), line(FLIGHTS))
    missing = drift(lines[0] + lines[1] + lines[3], FLIGHTS)
    assert [(item.what, item.wanted) for item in missing] == [("a line of the block is missing", line(FLIGHTS))]
    more = drift("".join([*lines[:3], "0 1 * * * rm x\n", lines[3]]), FLIGHTS)
    assert [(item.found, item.wanted) for item in more] == [("0 1 * * * rm x", "")]


def test_a_shell_of_another_family_does_not_read_the_line() -> None:
    text = "SHELL=/usr/bin/fish\n0 5 * * * x\n"
    assert install(text, FLIGHTS) == block(FLIGHTS) + text
    assert install(install(text, FLIGHTS), FLIGHTS) == block(FLIGHTS) + text
    below = text + block(FLIGHTS)
    assert drift(below, FLIGHTS)[0].found == "SHELL=/usr/bin/fish"
    assert install(below, FLIGHTS) == block(FLIGHTS) + text
    fine = 'SHELL = "/bin/bash"\n'
    assert install(fine, FLIGHTS) == fine + block(FLIGHTS)


def test_a_last_line_without_an_end_gets_one() -> None:
    assert install("# x", FLIGHTS) == "# x\n" + block(FLIGHTS)


@pytest.mark.parametrize(
    "text",
    [
        "".join(block(FLIGHTS).splitlines(keepends=True)[:-1]) + "0 5 * * * precious\n",
        block(FLIGHTS).splitlines()[0] + "\n" + block(FLIGHTS),
        block(FLIGHTS).splitlines()[-1] + "\n",
    ],
)
def test_half_a_block_is_told_and_nothing_is_guessed(text: str) -> None:
    for work in (install, drift):
        with pytest.raises(CrontabError, match="of the crontab"):
            work(text, FLIGHTS)
    with pytest.raises(CrontabError):
        remove(text, FLIGHTS.project)


def test_a_path_with_a_line_end_is_refused() -> None:
    with pytest.raises(CrontabError, match="line end"):
        block(Entry("/a\nb", FLIGHTS.program, "/x"))
    with pytest.raises(CrontabError, match="line end"):
        block(Entry("/a", FLIGHTS.program, "/x\r"))
