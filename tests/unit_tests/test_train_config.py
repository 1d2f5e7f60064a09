import re
import tomllib
from importlib.resources import files
from pathlib import Path

import pytest
from typer.testing import CliRunner

from langgraph_conductor import ConfigError
from langgraph_conductor.cli.app import app
from langgraph_conductor.train.config import STAGES, TrainConfig, change

PAPER = Path(str(files("langgraph_conductor.train").joinpath("paper.toml")))


def written(folder: Path, text: str) -> Path:
    path = folder / "train.toml"
    path.write_text(text, encoding="utf-8")
    return path


LEAST = """
folder = "runs/first"
[model]
name = "some/model"
[data]
suites = ["tasks.jsonl", "skills", "gsm8k:gsm"]
"""


def test_the_papers_settings():
    config = TrainConfig.load(PAPER)
    assert config.stages == STAGES
    learning = config.improvement("grpo")
    assert learning.steps * learning.questions * learning.rollouts == 51_200
    assert (learning.learning_rate, learning.temperature, learning.max_tokens) == (1e-6, 1.0, 1024)
    assert (learning.epsilon, learning.beta, learning.loss) == (0.2, 0.0, "grpo")
    assert (config.rewards.invalid, config.rewards.wrong, config.rewards.right) == (0.0, 0.5, 1.0)
    again = config.improvement("recursion")
    assert (again.steps, config.recursion.discount, config.recursion.show_plan) == (20, 0.25, False)
    assert again.learning_rate == learning.learning_rate
    assert config.model.lora is None


def test_paths_start_from_the_file(tmp_path):
    (tmp_path / "toy").mkdir()
    path = written(tmp_path, LEAST + '[pool]\nconfig = "conductor.toml"\n')
    config = TrainConfig.load(path, {"model.name": "toy"})
    assert config.folder == str(tmp_path / "runs/first")
    assert config.pool.config == str(tmp_path / "conductor.toml")
    assert config.model.name == str(tmp_path / "toy")
    assert config.data.suites == (str(tmp_path / "tasks.jsonl"), "skills", f"gsm8k:{tmp_path / 'gsm'}")
    assert TrainConfig.load(path).model.name == "some/model"


def test_stages_without_a_section_are_left_out(tmp_path):
    config = TrainConfig.load(written(tmp_path, LEAST + "[recursion]\n[export]\n"))
    assert config.stages == ("data", "recursion", "export")
    assert config.improvement("recursion").steps == 20


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "[grpo]\nrolouts = 8",
            r"train.toml, \[grpo\], `rolouts`: there is no such key; did you mean 'rollouts'\?",
        ),
        ("[grpo]\nrollouts = 1", r"train.toml, \[grpo\], `rollouts`: .*greater than or equal to 2"),
        ("[warm_start.imitation]\nepoch = 1", r"\[warm_start.imitation\], `epoch`: there is no such key"),
        ("[model.lora]\nrank = 4", r"is not TOML|Cannot"),
        ("[nothing]", r"train.toml, `nothing`: there is no such key"),
        ("[prompt]\npermute = true", r"\[prompt\] permute needs show"),
        ('[vllm]\nmode = "colocate"\n[compute]\nmicro_batch = 0', r"`micro_batch`"),
        ("[recursion]\nshare = 0.001", r"\[recursion\] share leaves 64 rollouts"),
        ('[recursion]\ndiscounting = "blend"', r"blend"),
        ("[warm_start]\nmost_steps = 9", r"most_steps is more than"),
        ('[pool]\nconfig = "x"\napi_key = "sk-abcdefghijklmnopqrstuvwxyz123456"', r"keys do not belong"),
    ],
)
def test_mistakes_say_where_they_are(tmp_path, text, said):
    with pytest.raises(ConfigError, match=said):
        TrainConfig.load(written(tmp_path, f"{LEAST}{text}\n".replace("[model.lora]", "[model]")))


def test_what_is_missing_is_named(tmp_path):
    with pytest.raises(ConfigError) as caught:
        TrainConfig.load(written(tmp_path, 'folder = "x"\n'))
    assert "`model`: is missing" in str(caught.value)
    assert "`data`: is missing" in str(caught.value)


def test_vllm_needs_trl(tmp_path):
    with pytest.raises(ConfigError, match=r'\[vllm\] needs trainer = "trl"'):
        TrainConfig.load(written(tmp_path, LEAST + "[vllm]\n"), {"trainer": "plain"})


def test_the_files_of_the_guide(tmp_path):
    """Each is whole, or laid over the paper's settings."""
    guide = PAPER.with_name("README.md").read_text(encoding="utf-8")
    whole, over = re.findall(r"```toml\n(.*?)```", guide, re.DOTALL)
    assert TrainConfig.load(written(tmp_path, whole)).stages == ("data",)
    changes = {
        f"{name}.{key}": value for name, part in tomllib.loads(over).items() for key, value in part.items()
    }
    config = TrainConfig.load(PAPER, changes)
    assert (config.model.lora.rank, config.improvement("grpo").learning_rate) == (16, 1e-5)
    options = set(re.findall(r"--[a-z-]+", " ".join(re.findall(r"langgraph-conductor train.*", guide))))
    shown = CliRunner().invoke(app, ["train", "--help"], env={"COLUMNS": "200", "NO_COLOR": "1"}).stdout
    assert options <= set(re.findall(r"--[a-z-]+", shown))


def test_changes(tmp_path):
    assert change("grpo.steps=2") == ("grpo.steps", 2)
    assert change("model.name=some/model") == ("model.name", "some/model")
    assert change('data.suites=["a", "b"]') == ("data.suites", ["a", "b"])
    with pytest.raises(ConfigError, match="key=value"):
        change("grpo.steps")
    path = written(tmp_path, LEAST)
    config = TrainConfig.load(path, {"grpo.steps": 2, "model.lora.rank": 4, "limit_usd": "1.50"})
    assert (config.grpo.steps, config.model.lora.rank, str(config.limit_usd)) == (2, 4, "1.50")
    with pytest.raises(ConfigError, match="folder is not a section"):
        TrainConfig.load(path, {"folder.name": 1})
