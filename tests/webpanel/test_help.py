"""The pages that explain, for people with and without a login."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from webpanel.help.views import TOPICS


@pytest.mark.parametrize("topic", TOPICS)
@pytest.mark.parametrize("who", ["nobody", "mine"])
def test_every_topic(request: pytest.FixtureRequest, who: str, topic: str) -> None:
    client: FlaskClient = request.getfixturevalue(who)
    title, about = TOPICS[topic]
    index = client.get("/help").text
    assert f'href="/help/{topic}"' in index
    assert about in index
    page = client.get(f"/help/{topic}")
    assert page.status_code == 200
    assert page.text.count("<h1") == 1
    assert title in page.text
    assert ("Log out" in page.text) == (who == "mine")


def test_others_do_not_exist(nobody: FlaskClient) -> None:
    for topic in ("nonsense", "page", "index", "..%2f..%2fbase"):
        assert nobody.get(f"/help/{topic}").status_code == 404
