"""What the environment may say about channels, and how a mistake in it is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from grace_assets.notify.channels import ChannelError, Channels
from tests.notify.briefs import Post

SMTP = {
    "SMTP_HOST": "localhost",
    "SMTP_USER": "grace",
    "SMTP_PASSWORD": "c4n4ry",
    "SMTP_FROM_EMAIL": "grace@ops.example",
    "STATUS_BRIEF_RECIPIENTS": "ann@example.org",
}


@pytest.mark.parametrize(
    "url",
    [
        "canary",
        "ftp://canary",
        "https://",
        "https://[canary",
        "http://a\x00canary",
        "https://h:99999/canary",
        "https://h h/canary",
    ],
)
def test_what_is_no_webhook_is_named_by_its_variable_alone(tmp_path: Path, url: str):
    with pytest.raises(ChannelError, match="SLACK_WEBHOOK_URL") as error:
        Post(tmp_path, "slack", {"SLACK_WEBHOOK_URL": url})()
    assert "canary" not in str(error.value)


@pytest.mark.parametrize(
    "bad",
    [
        "nobody",
        "a b@example.org",
        "a@x>\r\nRCPT TO:<evil@example.org",
        "a@example.org\nBcc: evil@example.org",
        "a\x00@example.org",
        "Ann <ann@example.org>",
        "ann@exa mple.org",
        "änn@example.org",
        "ann@-example.org",
        '"a\\"b"@example.org',
        f"{'a' * 65}@example.org",
        ".ann@example.org",
        "ann@example..org",
        "\u202eann@example.org",
    ],
)
def test_an_address_that_is_none_stops_email_before_anything_is_promised(bad: str, tmp_path: Path):
    env = SMTP | {"STATUS_BRIEF_RECIPIENTS": f"ann@example.org,{bad}"}
    post = Post(tmp_path, "email", env)
    with pytest.raises(ChannelError, match="STATUS_BRIEF_RECIPIENTS"):
        post()
    assert post.ledger.rows() == []
    assert Post(tmp_path, "slack", env)(), "the other channel does not mind"


@pytest.mark.parametrize(
    ("over", "variable"),
    [
        ({"SMTP_PORT": "no"}, "SMTP_PORT"),
        ({"SMTP_PORT": "70000"}, "SMTP_PORT"),
        ({"SMTP_PORT": "²"}, "SMTP_PORT"),
        ({"SMTP_TLS": "maybe"}, "SMTP_TLS"),
        ({"SMTP_FROM_EMAIL": "Grace"}, "SMTP_FROM_EMAIL"),
        ({"SMTP_FROM_EMAIL": ""}, "SMTP_FROM_EMAIL"),
        ({"SMTP_USER": ""}, "SMTP_USER"),
        ({"EMAIL_ON_UNKNOWN": "retry"}, "EMAIL_ON_UNKNOWN"),
    ],
)
def test_a_mistake_in_the_settings_is_named_by_its_variable(over: dict[str, str], variable: str):
    with pytest.raises(ChannelError, match=variable) as error:
        _ = Channels.from_env(SMTP | over).email
    assert "c4n4ry" not in str(error.value)


def test_addresses_are_taken_once_each_and_their_domain_in_lower_case():
    text = " ann@Example.org,bob@example.org ,ann@example.ORG,,"
    channels = Channels.from_env({"STATUS_BRIEF_RECIPIENTS": text})
    assert channels.recipients == ("ann@example.org", "bob@example.org")
