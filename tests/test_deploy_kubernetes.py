"""`deploy/kubernetes`: rendered by Helm, held against the schemas of what will read it."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import kubernetes_validate
import pytest
import yaml
from dagster._config import validate_config
from dagster._core.instance.config import dagster_instance_config_schema
from dagster_k8s import K8sRunLauncher

from grace_assets.settings import Settings
from tests.servers import unavailable

ROOT = Path(__file__).parents[1]
HERE = ROOT / "deploy" / "kubernetes"
CHART = HERE / "chart"
API_VERSIONS = ("1.28", "1.33")


def readme_values() -> str:
    """The values that the README shows."""
    return re.findall(r"```yaml\n(.+?)```", (HERE / "README.md").read_text(), re.DOTALL)[0]


def helm(*arguments: str | Path, values: str) -> subprocess.CompletedProcess:
    program = shutil.which("helm")
    if program is None:
        unavailable("helm")
    return subprocess.run(
        [program, *map(str, arguments), "--values", "-"],
        input=values,
        capture_output=True,
        text=True,
        check=False,
    )


def rendered(values: str) -> dict[tuple[str, str], dict]:
    done = helm("template", "grace", CHART, "--namespace", "grace", values=values)
    assert done.returncode == 0, done.stderr
    found = [document for document in yaml.safe_load_all(done.stdout) if document]
    return {(d["kind"], d["metadata"]["name"]): d for d in found}


@pytest.fixture(scope="module")
def objects() -> dict[tuple[str, str], dict]:
    return rendered(readme_values())


def test_the_chart_is_sound():
    assert (done := helm("lint", "--strict", CHART, values=readme_values())).returncode == 0, done


@pytest.mark.parametrize("version", API_VERSIONS)
def test_every_object_is_one_that_the_api_knows(objects, version):
    for document in objects.values():
        kubernetes_validate.validate(document, version, strict=True)
    kinds = [kind for kind, _ in objects]
    assert (kinds.count("Deployment"), kinds.count("Service")) == (4, 3)


def test_the_instance_is_what_dagster_and_its_launcher_take(objects):
    files = objects["ConfigMap", "grace-instance"]["data"]
    instance = yaml.safe_load(files["dagster.yaml"])
    assert validate_config(dagster_instance_config_schema(), instance).success
    launcher = instance["run_launcher"]["config"]
    checked = validate_config(K8sRunLauncher.config_type(), launcher)
    assert checked.success, checked.errors
    assert not validate_config(K8sRunLauncher.config_type(), launcher | {"job_imag": "x"}).success
    server = yaml.safe_load(files["workspace.yaml"])["load_from"][0]["grpc_server"]
    assert ("Service", server["host"]) in objects


def test_the_variables_are_those_of_the_settings(objects):
    env = objects["ConfigMap", "grace-env"]["data"]
    settings = Settings.from_env(env)
    assert settings.files_url == "s3://grace/production"
    assert (settings.backfill_days_per_run, settings.public_url) == (31, "https://grace.example")
    assert not [name for name in env if "PASSWORD" in name or "SECRET" in name]


def test_what_is_started_are_commands_of_the_image(objects):
    programs = {path.name for path in Path(sys.executable).parent.iterdir()}
    for (kind, name), document in objects.items():
        if kind in ("Deployment", "Job"):
            (container,) = document["spec"]["template"]["spec"]["containers"]
            assert container["command"][0] in programs, name


def test_no_pod_is_root_writes_to_its_image_or_holds_a_token_that_it_does_not_need(objects):
    for (kind, name), document in objects.items():
        if kind not in ("Deployment", "Job"):
            continue
        pod = document["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        assert pod["securityContext"]["runAsNonRoot"] is True, name
        assert container["securityContext"]["readOnlyRootFilesystem"] is True, name
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}, name
        assert container["resources"]["limits"]["memory"], name
        token = pod["automountServiceAccountToken"]
        assert token is (name in ("grace-webserver", "grace-daemon")), name


def test_only_one_daemon_runs_at_a_time(objects):
    daemon = objects["Deployment", "grace-daemon"]["spec"]
    assert (daemon["replicas"], daemon["strategy"]["type"]) == (1, "Recreate")


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ("secret: grace", "secret"),
        ("data: {url: s3://grace/production}", "data"),
        ("postgresql: {host: db.example}", "postgresql"),
    ],
)
def test_values_that_lack_what_a_cluster_must_say_are_refused(changed, named):
    values = readme_values()
    assert changed in values
    done = helm("template", "grace", CHART, values=values.replace(changed, ""))
    assert done.returncode != 0
    assert named in done.stderr


def test_a_misspelt_value_is_refused():
    done = helm("template", "grace", CHART, values=readme_values() + "\nrunAtOnce: 3\n")
    assert done.returncode != 0
    assert "runAtOnce" in done.stderr


def test_the_dockerfile_is_sound():
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run(
        [hadolint, HERE / "Dockerfile"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_the_image_is_made_of_what_the_context_holds():
    """Each COPY names something that there is, and that the ignore file lets in."""
    ignore = (HERE / "Dockerfile.dockerignore").read_text().split()
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", (HERE / "Dockerfile").read_text(), re.M)
    for source in " ".join(copied).split():
        assert (ROOT / source).exists(), source
        assert f"!{source.removeprefix('./')}" in ignore, source
