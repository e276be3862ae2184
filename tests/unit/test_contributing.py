"""CONTRIBUTING.md is true: its example keeps the rules, its tables match the code, its commands exist."""

import base64
import re
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from case_rules import CASE_RULES, MANIFEST_RULES, case_of, hosts_in, ids, servers
from cryptography import x509

import pytest_istio_egress
from pytest_istio_egress.cli.main import main
from pytest_istio_egress.cluster.names import Names
from pytest_istio_egress.cluster.run_secrets import distribute_authority
from pytest_istio_egress.model.case import FEATURES
from pytest_istio_egress.settings.options import OPTIONS, SWITCH
from pytest_istio_egress.suite.discovery import ShippedCase, case_files, manifest_files, shipped_cases

CHECKOUT = Path(__file__).parents[2]
TEXT = (CHECKOUT / "CONTRIBUTING.md").read_text()
CODE = re.compile(r"`([^`]+)`")


def block(language: str) -> str:
    """Return the only code block in a language."""
    (code,) = re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)
    return str(code)


def table(header: str) -> list[list[str]]:
    """Return the cells of the table whose header begins with a word."""
    rows = TEXT.partition(f"\n| {header} |")[2].partition("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    """A suite that has only the example."""
    module, manifest = (
        tmp_path / re.findall(rf"`(conformance/\w+/\w+\.{ending})`", TEXT)[0] for ending in ("py", "yaml")
    )
    module.parent.mkdir(parents=True)
    module.write_text(block("python"))
    manifest.write_text(block("yaml"))
    return tmp_path / "conformance"


@pytest.fixture
def example(suite: Path) -> ShippedCase:
    (shipped,) = shipped_cases(suite)
    return shipped


@pytest.mark.parametrize("rule", [*CASE_RULES, *MANIFEST_RULES], ids=lambda rule: rule.__name__)
def test_example_keeps_rule(example: ShippedCase, rule: Any) -> None:
    if rule in CASE_RULES:
        rule(example)
    for manifest in case_of(example).manifests if rule in MANIFEST_RULES else ():
        rule(manifest)


def test_example_has_control_and_block_with_the_plain_sidecar(example: ShippedCase) -> None:
    (manifest,) = case_of(example).manifests
    sidecar, entry = yaml.safe_load_all(manifest.read_text())
    assert sidecar["spec"] == {"egress": [{"hosts": ["./*"]}], "outboundTrafficPolicy": {"mode": "REGISTRY_ONLY"}}
    assert entry["kind"] == "ServiceEntry"
    assert ids(example.function) == ["listed", "unlisted"]


def test_example_uses_files_and_hosts_of_no_shipped_case(suite: Path) -> None:
    shipped = CHECKOUT / "conformance"
    taken = {host for file in (*case_files(shipped), *manifest_files(shipped)) for host in hosts_in(file)}
    for file in (*case_files(suite), *manifest_files(suite)):
        assert not (CHECKOUT / file.relative_to(suite.parent)).exists()
        assert not hosts_in(file) & taken


def test_example_names_outcomes_by_subject(example: ShippedCase) -> None:
    for outcome in case_of(example).outcomes:
        assert re.fullmatch(r"[a-z0-9-]+/[a-z0-9-]+-[a-z0-9]+", outcome)


def test_example_runs_by_the_path_that_the_commands_name(example: ShippedCase) -> None:
    for path in re.findall(r"conformance/\w+/test_\w+\.py", TEXT):
        assert path == example.id.partition("::")[0]


def test_addresses_are_those_of_fixtures() -> None:
    stated = {CODE.findall(server)[0]: (address, pod) for server, address, pod, _ in table("server")}
    assert stated == {
        name: (address, address.replace("192.0.2.", "192.0.2.1")) for name, address, _ in servers()
    }  # + 100, of two digits


def test_ports_are_those_of_fixtures() -> None:
    stated = {
        (server, int(port))
        for numbers, names, _ in table("port")
        for server in CODE.findall(names)
        for port in numbers.split(",")
    }
    assert stated == {(name, port) for name, _, ports in servers() for port in ports}


def test_certificates_are_those_of_the_run() -> None:
    names = Names("k3x9q", "gw0")
    secrets: dict[str, Any] = {}

    def apply(documents: list[Any], _: str) -> None:
        secrets.update({document["metadata"]["name"]: document for document in documents})

    core = SimpleNamespace(create_namespaced_config_map=lambda *_: None)
    api = SimpleNamespace(core=core, now=lambda: datetime.now(UTC))
    applier: Any = SimpleNamespace(api=api, names=names, apply=apply, rendered=lambda document, _: document)
    distribute_authority(applier, [])
    for server, _, _, hosts in table("server"):
        name = {"second": "second-certificate"}.get(CODE.findall(server)[0], "outside-certificate")
        assert certificate_hosts(secrets[name]) == {names.render(host) for host in CODE.findall(hosts)}


def certificate_hosts(secret: Any) -> set[str]:
    """Return the hosts that the certificate of a Secret names."""
    certificate = x509.load_pem_x509_certificate(base64.b64decode(secret["data"]["tls.crt"]))
    extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    return set(extension.value.get_values_for_type(x509.DNSName))


def test_servers_use_the_certificates_of_the_table() -> None:
    for server, *_ in table("server"):
        name = CODE.findall(server)[0]
        secret = "second-certificate" if name == "second" else "outside-certificate"
        file = "forward_proxy.yaml" if name == "forward-proxy" else "outside.yaml"
        (mounted,) = {
            volume["secret"]["secretName"]
            for document in yaml.safe_load_all((CHECKOUT / "fixtures" / file).read_text())
            if document["kind"] == "Deployment" and document["metadata"]["name"] == name
            for volume in document["spec"]["template"]["spec"]["volumes"]
            if "secret" in volume
        }
        assert mounted == secret


def test_options_exist() -> None:
    flags = {SWITCH, "--istio-egress", *(option.flag for option in OPTIONS)}
    named = set(re.findall(r"--istio-egress[a-z-]*", TEXT))
    assert named
    assert named <= flags


def test_nox_sessions_exist() -> None:
    defined = re.findall(r"@nox\.session[^\n]*\n(?:@[^\n]*\n)*def (\w+)", (CHECKOUT / "noxfile.py").read_text())
    named = {name for line in re.findall(r"nox -s ([\w ]+)", TEXT) for name in line.split()}
    assert named
    assert named <= set(defined)


@pytest.mark.parametrize("command", sorted(set(re.findall(r"istio-egress ((?:cluster )?[a-z]+)[`)\n]", TEXT))))
def test_subcommand_exists(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*command.split(), "--help"])
    assert ended.value.code == 0
    assert f"istio-egress {command}" in capsys.readouterr().out


@pytest.mark.parametrize("path", sorted(set(re.findall(r"(?:demonstrations|tests|docs|model)/[\w./]+\.\w+", TEXT))))
def test_file_exists(path: str) -> None:
    assert any((folder / path).is_file() for folder in (CHECKOUT, CHECKOUT / "pytest_istio_egress"))


def test_named_functions_and_features_exist() -> None:
    functions = set(re.findall(r"`(reached\w*|blocked_\w+|timed_out)`", TEXT))
    assert functions == {"reached", "reached_directly", "blocked_http", "blocked_tcp", "blocked_tls", "timed_out"}
    assert functions <= set(pytest_istio_egress.__all__)
    assert "own-sidecar-scope" in FEATURES
