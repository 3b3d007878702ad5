"""`/accounting`: an account's files, newest first; `?before=<sequence>` pages on.

What was written can be fetched until retention removes it, also when the plan has no accounting log
any more.  A panel on a host without the files says that they are fetched by SFTP.
"""

from __future__ import annotations

from pathlib import Path

from flask import Blueprint, Response, current_app, render_template, request, send_file
from flask.typing import ResponseReturnValue
from flask_security import current_user

from franking.accounting import access, checking, files
from franking.accounting.config import Accounting
from franking.money.terms import terms_of
from franking.reasons import NotFound
from webpanel.accounting.forms import KeyForm
from webpanel.database import reading

bp = Blueprint("accounting", __name__, url_prefix="/accounting")
ROWS = 24  # a day
CHECKER = "checking.py"
MOST = 1 << 31  # sequences are below


@bp.get("")
def index() -> ResponseReturnValue:
    return page(KeyForm(formdata=None))


@bp.get("/files/<name>")
def download(name: str) -> ResponseReturnValue:
    account = current_user.account
    row = files.get(reading, account, name)
    return _file(files.folder(_directory(), account.name) / row.name, row.name)


@bp.get(f"/{files.MANIFEST}")
def manifest() -> ResponseReturnValue:
    path = files.folder(_directory(), current_user.account.name) / files.MANIFEST
    return _file(path, files.MANIFEST)


@bp.get(f"/{CHECKER}")
def checker() -> ResponseReturnValue:
    """The program that says what is missing: it runs alone."""
    return _file(Path(checking.__file__), CHECKER)


def page(form: KeyForm) -> str:
    """`form`: a key that was refused comes with what was typed."""
    account = current_user.account
    before = request.args.get("before", type=int)
    if before is not None and not 0 < before < MOST:
        before = None
    found = files.listed(reading, account, before=before, limit=ROWS + 1)
    who = access.of(reading, account)
    return render_template(
        "accounting/index.html",
        allowed=files.allowed(account),
        pairs=found[:ROWS],
        before=before,
        older=found[ROWS - 1].jsonl.sequence if len(found) > ROWS else None,
        on_this_host=rules().directory is not None,
        rules=rules(),
        days=terms_of(account.plan.terms).retention.accounting,
        access=who,
        keys=access.keys_of(who) if who else [],
        form=form,
    )


def rules() -> Accounting:
    own: Accounting = current_app.extensions["franking.settings"].accounting
    return own


def _directory() -> Path:
    directory = rules().directory
    if directory is None:
        raise NotFound("the files are not on this host")
    return directory


def _file(path: Path, name: str) -> Response:
    if not path.is_file():
        raise NotFound(f"there is no file {name!r}")
    media_type = files.MEDIA_TYPES.get(path.suffix, "text/plain; charset=utf-8")
    answer = send_file(path, media_type, as_attachment=True, download_name=name)
    answer.headers["Cache-Control"] = "no-store"
    return answer
