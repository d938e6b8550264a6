"""Whatever a user gets wrong ends as exit code 2 and one clear line, and leaves nothing behind."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from run_script import ROOT, Ended, environment, run_script, start_script, train_arguments, write_data

from fmnist_jax.compare import config as study_schema
from fmnist_jax.config import schema as config_schema

SMOKE = "--config=configs/smoke.py"
NO_CONFIG = "--config must be given, e.g. --config=model3"
NO_WORKDIR = "--workdir must be given: the folder of the run"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def trained(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    workdir = tmp_path_factory.mktemp("runs") / "trained"
    ended = run_script("train", *train_arguments(workdir, data, train__epochs=1))
    assert (ended.code, ended.err) == (0, "")
    return workdir


def message(ended: Ended) -> str:
    """The message of a user's error; fails where it did not end as one has to."""
    assert ended.code == 2, ended
    assert ended.out == ""
    assert re.fullmatch(r"error: .*\n", ended.err), ended.err
    return ended.err.removeprefix("error: ").strip()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], NO_CONFIG),
        (["--config="], NO_CONFIG),
        (["--config.train.epochs=3"], NO_CONFIG),
        (["--config"], "Missing value for flag --config"),
        ([SMOKE, "--workdir="], NO_WORKDIR),
        ([SMOKE, "--epochs=3"], "--epochs is not a flag; did you mean '--config.train.epochs'?; --help lists them"),
        ([SMOKE, "--workdri=x"], "--workdri is not a flag; did you mean 'workdir'?; --help lists them"),
        ([SMOKE, "--zzz"], "--zzz is not a flag; --help lists them"),
        ([SMOKE, "junk"], "'junk' is not a flag; flags begin with --, see --help"),
        ([SMOKE, "--", "junk"], "'junk' is not a flag; flags begin with --, see --help"),
        (["--config=/none/x.py"], "--config: /none/x.py does not exist"),
        (["--config.seed=3", SMOKE], "Found --config.seed=3 in argv before a value for --config was specified"),
        ([SMOKE, "--config.nosuch=3"], "--config.nosuch is not a config key; --help lists them"),
        (
            [SMOKE, "--config.model.conv_lowering=xla"],
            "--config.model.conv_lowering is now --config.model.conv_algorithm",
        ),
        ([SMOKE, "--config.=1"], "--config. is not a config key; --help lists them"),
        ([SMOKE, "--config.train=3"], "--config.train is not a config key; --help lists them"),
        (
            [SMOKE, "--config.optimizer.learningrate=3"],
            "--config.optimizer.learningrate is not a config key; did you mean 'optimizer.learning_rate'?; "
            "--help lists them",
        ),
        (
            [SMOKE, "--config.optimizer.lr=1"],
            "--config.optimizer.lr is not a config key; did you mean 'optimizer.learning_rate'?; --help lists them",
        ),
        (
            [SMOKE, "--config.optimizer.wd=1"],
            "--config.optimizer.wd is not a config key; did you mean 'optimizer.weight_decay'?; --help lists them",
        ),
        ([SMOKE, "--config.seed=2147483648"], "config.seed must be at most 2147483647, not 2147483648"),
        ([SMOKE, "--config.train.epochs=2147483648"], "config.train.epochs must be at most 1000000, not 2147483648"),
        (
            [SMOKE, "--config.optimizer.learning_rate=1e-50"],
            "config.optimizer.learning_rate of rmsprop must be between 1.2e-38 and 3.4e+38, the range of float32, "
            "not 1e-50",
        ),
        (
            [SMOKE, "--config.optimizer.name=adam", "--config.optimizer.b2=0.99999999999"],
            "config.optimizer.b2 of adam must be below 1, not 1.0: float32 rounds 0.99999999999 to it",
        ),
        ([SMOKE, "--flagfile=/none/f"], "Unable to open flagfile: [Errno 2] No such file or directory: '/none/f'"),
        (
            [SMOKE, "--workdir=gs://bucket/run"],
            "gs:/bucket/run is not a folder of this machine; take a local --workdir, or mount it",
        ),
        (
            [SMOKE, "--workdir=/tmp/\udcff"],
            r"the path '/tmp/\udcff' is not valid Unicode, as checkpoints need; rename it",
        ),
        ([SMOKE, "--config.train.epochs=2.5"], "--config.train.epochs must be an integer, not '2.5'"),
        ([SMOKE, "--config.train.epochs="], "--config.train.epochs must be an integer, not ''"),
        (
            [SMOKE, "--config.optimizer.name=schedule-free-adamw", "--config.optimizer.b1=0"],
            "config.optimizer.b1 of schedule-free-adamw must be at least 0.001, not 0.0",
        ),
        ([SMOKE, "--config.optimizer.eps=tiny"], "--config.optimizer.eps must be a number, not 'tiny'"),
        ([SMOKE, "--config.optimizer.eps"], "Missing value for flag --config.optimizer.eps"),
        ([SMOKE, "--config.train.score_test=maybe"], "--config.train.score_test must be true or false, not 'maybe'"),
    ],
)
def test_a_flag_that_cannot_be(arguments: list[str], expected: str, tmp_path: Path):
    workdir = tmp_path / "run"
    assert message(run_script("train", f"--workdir={workdir}", *arguments)) == expected
    assert not workdir.exists()


STUDY = "--config=configs/compare_quick.py"


@pytest.mark.parametrize(
    ("script", "arguments", "expected"),
    [
        (
            "train",
            [STUDY],
            "--config: configs/compare_quick.py: it is the config of a study; run it with .*/compare.py",
        ),
        ("compare", [SMOKE], "--config: configs/smoke.py: it is the config of a run; run it with scripts/train.py"),
        ("train", [SMOKE, "--config.study.seeds=3"], "--config.study.seeds is not a config key; --help lists them"),
        ("compare", [], "--config must be given, e.g. --config=compare_quick"),
        ("compare", [STUDY, "--epochs=3"], r"--epochs is not a flag; did you mean '--config.study.epochs'\?; .*"),
        (
            "compare",
            [STUDY, "--config.study.sed=3"],
            r"--config.study.sed is not a config key.*; did you mean 'study.seeds'\?; .*",
        ),
        (
            "compare",
            [STUDY, "--config.train.epochs=10"],
            "config.train.epochs cannot be set here: .* config.study.epochs",
        ),
        (
            "compare",
            [STUDY, "--config.study.epochs=x"],
            "config.study.epochs holds 'x'; each must be an integer, .*",
        ),
        ("compare", [STUDY, "--config.study.seeds=x"], "--config.study.seeds must be an integer, not 'x'"),
        (
            "compare",
            [STUDY, "--config.study.optimizers=adam:b3=0.9,eps=1,sgd"],
            "config.study.optimizers: arm 'adam:b3=0.9,eps=1' sets 'b3', but adam does not take it; it takes .*",
        ),
        (
            "compare",
            [STUDY, "--config.study.optimizers=schedule-free-adamw:b1=0"],
            "config.study.optimizers: b1 of arm 'schedule-free-adamw:b1=0' must be at least 0.001, not 0.0",
        ),
        (
            "compare",
            [STUDY, "--config.study.models=model9"],
            r"config.study.models must be one of .*, not 'model9'; .*",
        ),
        (
            "compare",
            [STUDY, "--config.study.schedules=cosin"],
            "config.study.schedules must be one of .*, not 'cosin'; .*",
        ),
        (
            "compare",
            [STUDY, "--config.schedule.warmup=9 epochs"],
            "config.schedule.warmup: .* longer than the run of .*",
        ),
        ("compare", [STUDY, "--config.train.batch_size=99999"], "config.train.batch_size must be at most 400, .*"),
        (
            "compare",
            [STUDY, "--config.study.mode=tuned", "--config.data.val_examples=0"],
            "config.data.val_examples must be above 0 where config.study.mode is tuned, since .*",
        ),
    ],
)
def test_a_study_that_cannot_be(script: str, arguments: list[str], expected: str, data: Path, tmp_path: Path):
    workdir = tmp_path / "study"
    small = {"data.name": "csv", "data.dir": data, "data.val_examples": 100}
    settings = [f"--config.{key}={value}" for key, value in small.items()] if STUDY in arguments else []
    found = message(run_script(script, f"--workdir={workdir}", *arguments[:1], *settings, *arguments[1:]))
    assert re.fullmatch(expected, found), found
    assert not workdir.exists()


def test_no_workdir():
    for script, arguments in (("train", [SMOKE]), ("evaluate", []), ("predict", ["x.png"]), ("reproduce", [])):
        assert message(run_script(script, *arguments)) == NO_WORKDIR


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("configs/model33.py", r"configs/model33.py does not exist; there are .*; did you mean 'model3'\?"),
        ("smok", r"smok does not exist; there are 2c2d, .*, smoke, .*; did you mean 'smoke'\?"),
        ("fast_92", r"fast_92 does not exist; there are 2c2d, .*; did you mean 'records/fast_92'\?"),
        ("configs", "configs is not a file; there are configs/2c2d.py, .*"),
        ("README.md.py", "README.md.py does not exist; there are 2c2d, .*"),
    ],
)
def test_a_missing_config_file_with_the_ones_that_there_are(path: str, expected: str, tmp_path: Path):
    found = message(run_script("train", f"--workdir={tmp_path / 'run'}", f"--config={path}"))
    assert re.fullmatch(f"--config: {expected}", found)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("def get_config(:", ", line 1: SyntaxError: invalid syntax"),
        ("x = 1\0", ": (SyntaxError|ValueError): source code string cannot contain null bytes"),
        ("# coding: nosuch", ": SyntaxError: unknown encoding: nosuch"),
        ("\n\nimport nosuch_module", ", line 3: ModuleNotFoundError: No module named 'nosuch_module'"),
        ("def get_config():\n    return 1 / 0", ", line 2: ZeroDivisionError: division by zero"),
        ("assert False", ", line 1: AssertionError"),
        ("raise SystemExit(7)", ", line 1: SystemExit: 7"),
        ("open('/none')", ", line 1: FileNotFoundError: .* No such file or directory: '/none'"),
        ("x = 1", r": it defines no get_config\(\)"),
        ("get_config = 3", ": TypeError: 'int' object is not callable"),
        ("def get_config():\n    pass", r": its get_config\(\) returns NoneType, not a config; start from .*"),
        (
            "def get_config():\n    return {'seed': 3}",
            r": its get_config\(\) returns dict, not a config; .*",
        ),
        ("c.modle = 3", r", line 4: AttributeError: .*does not exist .* locked.* Did you mean \"model\" .*"),
        ("c.model.conv_lowering = 'xla'", ", line 4: config.model.conv_lowering is now config.model.conv_algorithm"),
        ("c.train.epochs = '3'", ", line 4: TypeError: .*'epochs'.*3.*str.*int.*"),
        ("c.unlock().train.steps = 3", r": config.train.steps is not a config key; did you mean 'train.epochs'\?"),
        ("c.train.epochs = 0", ": config.train.epochs must be at least 1, not 0"),
        ("del c.unlock().seed", ": config.seed is missing; start from .*"),
    ],
)
def test_a_config_file_that_gives_no_config(code: str, expected: str, tmp_path: Path):
    if "c." in code:
        start = "from fmnist_jax.config import default_config\ndef get_config():\n    c = default_config()"
        code = f"{start}\n    {code}\n    return c"
    file = tmp_path / "config.py"
    file.write_text(code)
    found = message(run_script("train", f"--workdir={tmp_path / 'run'}", f"--config={file}"))
    assert re.fullmatch(f"--config: {re.escape(str(file))}{expected}", found), found
    assert len(found) < 400
    assert names(tmp_path) == ["config.py"]


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("seed=-1", "config.seed must be at least 0, not -1"),
        ("train.epochs=0", "config.train.epochs must be at least 1, not 0"),
        ("train.batch_size=401", "config.train.batch_size must be at most 400, the number of training images, not 401"),
        ("optimizer.learning_rate=-1", "config.optimizer.learning_rate must be above 0, not -1.0"),
        ("optimizer.learning_rate=nan", "config.optimizer.learning_rate must be a finite number, not nan"),
        ("optimizer.learning_rate=inf", "config.optimizer.learning_rate must be a finite number, not inf"),
        (
            "optimizer.momentum=0.9",
            "config.optimizer.momentum is set, but rmsprop does not take it; it takes .*eps, .*",
        ),
        ("optimizer.name=adamm", r"config.optimizer.name must be one of .*, not 'adamm'; did you mean 'adam'\?"),
        ("model.name=modl1", r"config.model.name must be one of .*, not 'modl1'; did you mean 'model1'\?"),
        ("model.name=", "config.model.name must be one of .*, not ''"),
        ("schedule.name=cosin", r"config.schedule.name must be one of .*, not 'cosin'; did you mean 'cosine'\?"),
        ("schedule.warmup=3", "config.schedule.warmup: a duration must be like '500 steps', .* not '3'"),
        ("schedule.warmup=3 epochs", "config.schedule.warmup: .* '3 epochs' is 21 steps, longer than .* of 14"),
        ("precision=float16", r"config.precision must be one of .*, not 'float16'; did you mean 'bfloat16'\?"),
        ("data.name=synthetics", r"config.data.name must be one of .*; did you mean 'synthetic'\?"),
        ("data.val_examples=500", "500 validation examples cannot be held out of 500 training images; .* at most 499"),
        ("data.dir=/none", "the data folder /none cannot be read: No such file or directory; set --config.data.dir .*"),
        ("data.dir=", "config.data.name=csv needs --config.data.dir or FMNIST_DATA_DIR: a folder with .*"),
        ("data.dir=configs", r"configs lacks fashion-mnist_train.csv\[.gz\], .* \(it holds .*\); set .*"),
        ("data.name=fashion_mnist", r".* lacks train-images-idx3-ubyte\[.gz\], .* \(it holds .*\); set .*"),
    ],
)
def test_a_value_that_is_not_allowed(override: str, expected: str, data: Path, tmp_path: Path):
    workdir = tmp_path / "run"
    found = message(run_script("train", *train_arguments(workdir, data), f"--config.{override}"))
    assert re.fullmatch(expected, found), found
    assert not workdir.exists()


def test_damaged_data(data: Path, tmp_path: Path):
    damaged = shutil.copytree(data, tmp_path / "data")
    (damaged / "fashion-mnist_test.csv").write_text("label\n")
    found = message(run_script("train", *train_arguments(tmp_path / "run", damaged)))
    assert re.match(r".*_test.csv, line 1: the header is 'label', expected .*; set --config.data.dir", found)
    assert names(tmp_path) == ["data"]


def test_the_home_folder_as_a_workdir_and_a_name_that_neither_paths_nor_the_output_can_encode(
    data: Path, tmp_path: Path
):
    arguments = train_arguments(Path("~/wü"), data, train__epochs=1)
    ascii = {"lc_all": "C", "pythonutf8": 0, "pythonioencoding": "ascii"}
    process = start_script("train", *arguments, home=tmp_path, **ascii)
    out, err = process.communicate()
    assert (process.returncode, err) == (0, "")
    assert "summary.json" in names(tmp_path / "wü")
    assert "w\\xfc" in out


def test_a_planted_lock_is_not_followed(data: Path, tmp_path: Path):
    (tmp_path / "precious").write_text("mine")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / ".lock").symlink_to(tmp_path / "precious")
    found = message(run_script("train", *train_arguments(tmp_path / "run", data)))
    assert found.startswith(f"{tmp_path / 'run'} cannot be used as a workdir (Too many levels of symbolic links)")
    assert (tmp_path / "precious").read_text() == "mine"


def test_an_empty_workdir_stays_empty(data: Path, tmp_path: Path):
    message(run_script("train", *train_arguments(tmp_path, data), "--config.train.batch_size=401"))
    assert names(tmp_path) == []


def test_a_workdir_that_is_a_file(data: Path, tmp_path: Path):
    file = tmp_path / "file"
    file.write_text("mine")
    assert message(run_script("train", *train_arguments(file, data))) == f"{file} is a file; take another --workdir"
    found = message(run_script("train", *train_arguments(file / "run", data)))
    assert found == f"{file}/run cannot be used as a workdir (Not a directory); take another --workdir"
    assert message(run_script("evaluate", f"--workdir={file}")).startswith(f"{file} holds no run (no config.json)")
    assert file.read_text() == "mine"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_workdir_that_cannot_be_written(data: Path, tmp_path: Path):
    tmp_path.chmod(0o500)
    found = message(run_script("train", *train_arguments(tmp_path / "run", data)))
    assert found == f"{tmp_path / 'run'} cannot be used as a workdir (Permission denied); take another --workdir"


def test_a_workdir_of_another_config(trained: Path, data: Path):
    before = contents(trained)
    found = message(run_script("train", *train_arguments(trained, data, train__epochs=1), "--config.seed=4"))
    assert found == (
        f"{trained} holds a run of another config (config.seed: 0, not 4); "
        "take another --workdir, or the same config to resume"
    )
    assert contents(trained) == before


def test_a_workdir_in_use(trained: Path, data: Path):
    before = contents(trained)
    with (trained / ".lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        found = message(run_script("train", *train_arguments(trained, data, train__epochs=1)))
    assert found == f"{trained} is in use by another process; wait for it or take another folder"
    assert contents(trained) == before


def test_too_little_memory(tmp_path: Path):
    (tmp_path / "script.py").write_text(
        "import jax\n"
        "from fmnist_jax.cli import app\n"
        "def main(arguments):\n"
        "    raise jax.errors.JaxRuntimeError('RESOURCE_EXHAUSTED: Out of memory allocating 8935458560 bytes.')\n"
        "app.run(main)\n"
    )
    assert message(run_script(tmp_path / "script")) == (
        "out of memory (RESOURCE_EXHAUSTED: Out of memory allocating 8935458560 bytes.); compute less at once, "
        "as with a smaller --config.train.batch_size"
    )


def test_help_lists_the_flags_and_the_keys_of_the_config():
    for script in ("train", "evaluate", "predict", "reproduce", "compare"):
        ended = run_script(script, "--help")
        assert (ended.code, ended.err) == (0, "")
        assert f"python scripts/{script}.py --" in ended.out
        assert "--workdir: " in ended.out
    for script, schema in (("train", config_schema.SCHEMA), ("compare", study_schema.SCHEMA)):
        ended = run_script(script, "--help")
        assert "--config: " in ended.out
        for key in config_schema.settable(schema):
            assert f"--config.{key} (default " in ended.out


def test_evaluating_what_is_not_there(tmp_path: Path):
    for workdir in (tmp_path, tmp_path / "none"):
        found = message(run_script("evaluate", f"--workdir={workdir}"))
        assert found == f"{workdir} holds no run (no config.json); train one: scripts/train.py --workdir=..."
    assert names(tmp_path) == []


def test_evaluating_a_run_without_a_checkpoint(trained: Path, tmp_path: Path):
    for name in ("config.json", "manifest.json"):
        shutil.copy(trained / name, tmp_path)
    expected = f"{tmp_path} has no checkpoint yet; let scripts/train.py finish an epoch first"
    assert message(run_script("evaluate", f"--workdir={tmp_path}")) == expected
    (tmp_path / "checkpoints").mkdir()
    assert message(run_script("evaluate", f"--workdir={tmp_path}")) == expected
    assert names(tmp_path) == ["checkpoints", "config.json", "manifest.json"]


def test_evaluating_with_flags_that_cannot_be(trained: Path):
    before = contents(trained)
    for flag, expected in {
        "--split=tst": "--split must be one of train, val, test, not 'tst'; did you mean 'test'?",
        "--config.seed=3": "--config.seed is not a flag; --help lists them",
        "test": "'test' is not a flag; flags begin with --, see --help",
    }.items():
        assert message(run_script("evaluate", f"--workdir={trained}", flag)) == expected
    assert contents(trained) == before


def test_evaluating_after_the_data_have_gone(trained: Path, tmp_path: Path):
    workdir = shutil.copytree(trained, tmp_path / "run")
    config = json.loads((workdir / "config.json").read_text())
    config["data"]["dir"] = "/none"
    (workdir / "config.json").write_text(json.dumps(config))
    found = message(run_script("evaluate", f"--workdir={workdir}"))
    assert found.startswith("the data folder /none cannot be read: No such file or directory; set ")


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("none.png", None, r".*none.png cannot be read: No such file or directory"),
        ("empty.png", b"", ".*empty.png is empty"),
        ("text.png", b"no picture", r".*text.png is not an image of a known kind: PNG, .*"),
        ("half.png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", ".*half.png .*"),
    ],
)
def test_predicting_what_is_no_image(name: str, content: bytes | None, expected: str, trained: Path, tmp_path: Path):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    assert re.fullmatch(expected, message(run_script("predict", f"--workdir={trained}", tmp_path / name)))


def test_predicting_no_image_or_without_a_run(trained: Path, tmp_path: Path):
    found = message(run_script("predict", f"--workdir={trained}"))
    assert found == "no image is given; name one or more: scripts/predict.py --workdir=DIR IMAGE..."
    garment = tmp_path / "garment.npy"
    np.save(garment, np.zeros((28, 28), np.uint8))
    found = message(run_script("predict", f"--workdir={tmp_path}", garment))
    assert found == f"{tmp_path} holds no run (no config.json); train one: scripts/train.py --workdir=..."


def test_reproducing_with_flags_that_cannot_be(tmp_path: Path):
    for flag, expected in {
        "--configs=model1,model9": r"--configs must be one of 2c2d, .*, not 'model9'; did you mean 'model\d'\?",
        "--configs=../scripts/train": "--configs must be one of .*",
        "--configs=": r"--configs must name one or more files of configs/",
        "--seeds=1": "--seeds must be an integer >= 2, not '1'",
        "--seeds=x": "--seeds must be an integer >= 2, not 'x'",
        "model1": "'model1' is not a flag; flags begin with --, see --help",
    }.items():
        found = message(run_script("reproduce", f"--workdir={tmp_path / 'runs'}", flag))
        assert re.fullmatch(expected, found), found
    assert names(tmp_path) == []


SIGNALLED = """
import os, signal, time
from fmnist_jax.cli.app import exit_on_signals
exit_on_signals()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1])
@pytest.mark.parametrize(
    "then",
    [
        "os.kill(os.getpid(), {0}); time.sleep(60)",
        # Whoever takes over is not asked, as it came before.
        "os.kill(os.getpid(), {0}); signal.signal({0}, lambda number, frame: None); time.sleep(60)",
        # Blocked in the main thread, as while something is compiled, a signal comes to another thread.
        "signal.pthread_sigmask(signal.SIG_BLOCK, [{0}]); os.kill(os.getpid(), {0}); time.sleep(60)",
    ],
)
def test_a_signal_ends_the_process_with_one_line(number, then):
    code = SIGNALLED + then.format(int(number))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stdout) == (128 + number, "")
    assert done.stderr == f"{number.name}: stopped; run the same command again\n"


def test_an_ignored_signal_stays_ignored():
    code = f"import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)\n{SIGNALLED}"
    code += "os.kill(os.getpid(), signal.SIGHUP); print('alive')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stdout, done.stderr) == (0, "alive\n", "")


def test_what_the_environment_says_does_not_change_a_run(trained: Path, data: Path, tmp_path: Path):
    modes = {
        "JAX_NUMPY_RANK_PROMOTION": "raise",
        "JAX_NUMPY_DTYPE_PROMOTION": "strict",
        "JAX_TRANSFER_GUARD": "disallow",
        "JAX_DISABLE_JIT": "True",
    }
    backend = "module://matplotlib_inline.backend_inline"  # as in a notebook's shell, and not installed
    run = tmp_path / "run"
    process = start_script("train", *train_arguments(run, data, train__epochs=1), mplbackend=backend, **modes)
    _, err = process.communicate()
    problem = "is ignored: Flax and compiled training need it off"
    ignored = [f"warning: {mode}={value} {problem}" for mode, value in modes.items()]
    assert (process.returncode, err.splitlines()) == (0, ignored)
    assert (run / "predictions.npz").read_bytes() == (trained / "predictions.npz").read_bytes()


@pytest.mark.parametrize("platforms", ["cuda", "cpux"])
def test_a_platform_that_is_not_there(platforms, data: Path, tmp_path: Path):
    process = start_script("train", *train_arguments(tmp_path / "run", data), jax_platforms=platforms)
    _, err = process.communicate()
    assert process.returncode == 2
    assert err == (
        f"error: JAX finds no device for JAX_PLATFORMS={platforms}; unset it to use what there is, or install JAX's "
        "plugin for that device\n"
    )
    assert names(tmp_path) == []


def test_a_closed_stdout(trained: Path):
    command = f"exec {sys.executable} scripts/evaluate.py --workdir={trained} --split=val >&-"
    done = subprocess.run(["bash", "-c", command], cwd=ROOT, env=environment(), capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
