"""Error pages in the layout of all others.

A named reason that no view has caught is the visitor's: NotFound is 404, any other is 400 with
its sentence.  Everything else is ours: 500, logged, without detail on the page.
"""

from __future__ import annotations

from flask import Flask, abort, current_app, render_template, request
from flask.typing import ResponseReturnValue
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import HTTPException, InternalServerError

from franking import log
from franking.reasons import NotFound, Refused

TEXTS = {
    400: ("This request cannot be used", "Go back, reload the page and try again."),
    403: ("Not allowed", "Your account may not do this."),
    404: ("Page not found", "It does not exist, or it is not part of your account."),
    405: ("Not allowed here", "This address does not take that kind of request."),
    413: ("Too large", "The form sent more than this page takes."),
    500: (
        "Something went wrong",
        "The fault is ours and has been logged. Mail is not affected by the panel.",
    ),
}


def init_app(app: Flask) -> None:
    app.before_request(_refuse_nul)
    app.register_error_handler(CSRFError, _csrf)
    app.register_error_handler(NotFound, _not_found)
    app.register_error_handler(Refused, _refused)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(InternalServerError, _internal)


def _refuse_nul() -> None:
    """PostgreSQL takes no NUL in text: the query would fail as if the fault were ours."""
    said = [*(request.view_args or {}).values(), *(v for _, v in request.values.items(multi=True))]
    if any("\0" in value for value in said if isinstance(value, str)):
        abort(400)


def _page(status: int, text: str | None = None) -> ResponseReturnValue:
    title, usual = TEXTS.get(status, TEXTS[400])
    page = render_template("errors/page.html", status=status, title=title, text=text or usual)
    return page, status


def _csrf(_error: CSRFError) -> ResponseReturnValue:
    return _page(400, "The form is out of date: go back, reload the page and send it again.")


def _not_found(_reason: NotFound) -> ResponseReturnValue:
    return _page(404)


def _refused(reason: Refused) -> ResponseReturnValue:
    return _page(400, str(reason))


def _http(error: HTTPException) -> ResponseReturnValue:
    if error.code is None or error.code < 400:  # a redirect on its way
        return error
    return _page(error.code)


def _internal(error: InternalServerError) -> ResponseReturnValue:
    """Without the layout's account menu: what broke may be the database.

    Nor by `render_template`: Flask-Login's context processor asks the database for the user.
    """
    log.unexpected("webpanel", error.original_exception or error)
    title, text = TEXTS[500]
    template = current_app.jinja_env.get_template("errors/bare.html")
    return template.render(status=500, title=title, text=text), 500
