"""`/domains`: the list, and a new one."""

from __future__ import annotations

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_security import current_user

from franking.db import utcnow
from franking.domains import keys, listing, ownership
from franking.domains.names import to_unicode
from franking.reasons import Invalid, Taken
from franking.settings import SettingsError
from webpanel.database import own_account, reading, writing
from webpanel.domains import overview, words
from webpanel.domains.about import bp, note, relay, settings
from webpanel.domains.forms import AddForm

ROWS = 50


@bp.get("")
def index() -> ResponseReturnValue:
    return _list(_form())


@bp.post("")
def add() -> ResponseReturnValue:
    form = _form()
    if not form.validate():
        return _list(form), 400
    own = settings()
    try:
        master_key = own.master_key_bytes()
        pairs = keys.prepared(own.dkim)
        with writing() as session:
            domain = ownership.add(
                session,
                own_account(session),
                form.name.data or "",
                master_key=master_key,
                dkim=own.dkim,
                method=form.way,
                prefix=own.brand.prefix,
                pairs=pairs,
            )
            note(session, "add", domain.name, method=domain.dkim_method)
            name = domain.name
    except (Invalid, Taken) as reason:
        form.name.errors = [words.sentence_of(reason)]
        return _list(form), 400
    except SettingsError:
        form.form_errors = [words.NO_MASTER_KEY]
        return _list(form), 503
    flash(f"{to_unicode(name)} is added. Publish the required records below.")
    return redirect(url_for("domains.show", name=name))


def _form() -> AddForm:
    return AddForm() if settings().dkim.zone else AddForm().without_choice()


def _list(form: AddForm) -> str:
    after = request.args.get("after", "")
    found = listing.page(reading, current_user.account, relay(), after=after, limit=ROWS + 1)
    now = utcnow()
    return render_template(
        "domains/index.html",
        form=form,
        rows=[overview.row(each, now) for each in found[:ROWS]],
        older=found[ROWS - 1].domain.name if len(found) > ROWS else None,
        **words.TABLES,
    )
