"""Webhook signatures: a published vector, both forms of a secret, and two secrets while one replaces the other."""

import hashlib
import hmac

import pytest

from turbine.delivery.signatures import body_signature, key_of, standard_signature

BODY = b'{"test": 2432232314}'
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def test_the_signature_is_that_of_the_published_example_of_standard_webhooks() -> None:
    signature = standard_signature([SECRET], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, BODY)

    assert "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=" == signature


def test_the_hex_signature_is_keyed_by_the_text_of_the_secret_whatever_its_form() -> None:
    for secret in (SECRET, "plain", "größer"):
        assert hmac.new(secret.encode(), BODY, hashlib.sha256).hexdigest() == body_signature(secret, BODY)


def test_a_secret_without_the_prefix_is_its_own_key() -> None:
    assert b"plain" == key_of("plain")


def test_two_valid_secrets_give_two_signatures_the_newest_first() -> None:
    both = standard_signature(["new", "old"], "msg_1", 1, BODY)

    assert [standard_signature([one], "msg_1", 1, BODY) for one in ("new", "old")] == both.split(" ")


def test_the_signature_covers_the_id_the_time_and_every_byte_of_the_body() -> None:
    signatures = {
        standard_signature(["key"], *signed)
        for signed in (("msg_1", 1, BODY), ("msg_2", 1, BODY), ("msg_1", 2, BODY), ("msg_1", 1, BODY + b" "))
    }

    assert 4 == len(signatures)


@pytest.mark.parametrize("secret", ["whsec_", "whsec_no base64", "whsec_abc"])
def test_what_follows_the_prefix_must_be_base64_of_a_key(secret: str) -> None:
    with pytest.raises(ValueError, match="base64"):
        key_of(secret)
