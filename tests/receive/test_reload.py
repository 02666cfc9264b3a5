"""A changed configuration while associations are open: they go on, and others find what is new."""

import json
from pathlib import Path

import pytest

from dicom_ai_node.config.settings import Config
from dicom_ai_node.database.engine import Database
from dicom_ai_node.receive.server import Receiver
from dicom_ai_node.spool import Spool
from tests.acceptance.loopback import free_port
from tests.made import configuration
from tests.receive.raw_scu import (
    Reply,
    c_store,
    data_set,
    fresh,
    raw_association,
    receiving,
    wait,
)
from tests.receive.scu import association, slices

HERE = ["127.0.0.1/32"]
BOTH = [{"ae_title": "PACS", "from": HERE}, {"ae_title": "SCANNER", "from": HERE}]
SCANNER_ALONE = BOTH[1:]


def test_who_is_new_may_store_and_who_is_out_finishes(
    config: Config, spool: Spool, database: Database, tmp_path: Path
) -> None:
    receiver = Receiver(config, spool, database)
    with receiver.running() as port:
        with association(port, calling="SCANNER") as stranger:
            assert stranger.is_rejected
        with association(port) as before:
            first, second = slices(2, name="before and after")
            assert before.send_c_store(first).Status == 0x0000
            receiver.reload(configuration(tmp_path, accept=SCANNER_ALONE))
            with association(port, calling="SCANNER") as scanner:
                assert scanner.send_c_store(slices(name="new")[0]).Status == 0x0000
            with association(port) as gone:
                assert gone.is_rejected
            assert before.send_c_store(second).Status == 0x0000


def test_an_open_association_keeps_the_limits_under_which_it_came(
    config: Config, spool: Spool, database: Database, tmp_path: Path
) -> None:
    receiver = Receiver(config, spool, database)
    small = configuration(tmp_path, limits={"object_bytes": 10})
    with receiver.running() as port, association(port) as before:
        receiver.reload(small)
        assert before.send_c_store(slices(name="kept")[0]).Status == 0x0000
        with association(port) as after:
            assert after.send_c_store(slices(name="refused")[0]).Status == 0xA700


def test_associations_that_are_open_are_counted_on(
    config: Config, spool: Spool, database: Database, tmp_path: Path
) -> None:
    receiver = Receiver(config, spool, database)
    with receiver.running() as port:
        with association(port) as before:
            receiver.reload(configuration(tmp_path, limits={"associations": 1}, accept=BOTH))
            with association(port, calling="SCANNER") as too_many:
                assert too_many.is_rejected
            assert before.send_c_echo().Status == 0x0000
        with association(port, calling="SCANNER") as now:
            assert now.send_c_echo().Status == 0x0000


def test_what_is_negotiated_is_what_is_new(
    config: Config, spool: Spool, database: Database, tmp_path: Path
) -> None:
    """Although the same request was answered before, and the answer kept."""
    raw_data = {3: ("1.2.840.10008.5.1.4.1.1.66", ["1.2.840.10008.1.2.1"])}
    accepting = configuration(tmp_path, node={"accept_sop_classes": ["1.2.840.10008.5.1.4.1.1.66"]})
    receiver = Receiver(config, spool, database)
    with receiver.running() as port:
        with raw_association(port, raw_data) as scu:
            assert scu.results == {3: 3}
        receiver.reload(accepting)
        with raw_association(port, raw_data) as scu:
            assert scu.results == {3: 0}


@pytest.mark.fault("H2")
def test_a_file_that_is_wrong_changes_nothing_and_a_good_one_no_open_association(
    tmp_path: Path,
) -> None:
    """Unknown key, half written, a key that needs a restart, gone; then one that is right, in the
    middle of an object that the old one let in."""
    home = tmp_path / "node"
    with receiving(home) as node:
        good = json.dumps(node.settings)
        unknown = json.dumps({**node.settings, "limitz": {}})
        moved = json.dumps({**node.settings, "metrics": {"port": 1}})
        said = [("limitz", unknown), ("node.yaml", good[: len(good) // 2]), ("metrics.port", moved)]
        for number, (named, text) in enumerate(said, start=1):
            node.configure(text)
            node.hang_up()
            wait(lambda n=number: len(node.events("configuration_not_reloaded")) == n)
            assert named in " ".join(node.events("configuration_not_reloaded")[-1]["mistakes"])
            node.assert_serves()
        (home / "config" / "node.yaml").unlink()
        node.hang_up()
        wait(lambda: len(node.events("configuration_not_reloaded")) == 4)
        node.assert_serves()

        uids = fresh()
        data = data_set(uids)
        with raw_association(node.port) as scu:
            scu.send_command(c_store(uids))
            scu.send_data(data[: len(data) // 2], is_last=False)
            node.configure(json.dumps({**node.settings, "accept": SCANNER_ALONE}))
            node.hang_up()
            wait(lambda: node.events("configuration_reloaded"))
            assert node.events("configuration_reloaded")[0]["keys"] == ["accept"]
            scu.send_data(data[len(data) // 2 :])
            assert scu.answer() == Reply(1, 0x0000, "")
            scu.release()
        assert node.kept(uids) == data
        with association(node.port, calling="SCANNER") as scanner:
            assert scanner.send_c_store(slices(name="scanner")[0]).Status == 0x0000
        with association(node.port) as gone:
            assert gone.is_rejected


@pytest.mark.fault("H2")
def test_every_process_of_a_shared_port_takes_what_is_new(tmp_path: Path) -> None:
    home = tmp_path / "node"
    port = free_port()
    with receiving(home, node={"receive_processes": 2, "port": port}) as node:
        wait(lambda: len(node.events("receiver_listening")) == 2)
        node.configure(json.dumps({**node.settings, "accept": SCANNER_ALONE}))
        node.hang_up()

        def is_everywhere() -> bool:
            """The kernel gives each of several connections to either of them."""
            answers = []
            for _ in range(12):
                with association(port, calling="SCANNER") as scanner:
                    answers.append(scanner.is_established)
            return all(answers)

        wait(is_everywhere)
        with association(port) as gone:
            assert gone.is_rejected
