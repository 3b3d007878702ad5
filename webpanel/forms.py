"""What the panel's forms are made of: fields for whole numbers and amounts, and a form that takes a
refusal of the rules and puts each part of it beside the field that it is about.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar

from flask_wtf import FlaskForm
from wtforms import Field, IntegerField
from wtforms.validators import StopValidation, ValidationError
from wtforms.widgets import TextInput

from franking.money.amounts import LARGEST, parse_amount, plain_amount
from franking.reasons import Invalid

_DECIMAL_COMMA = re.compile(r"[0-9]+,[0-9]{1,2}")


class Form(FlaskForm):  # type: ignore[misc]  # Flask-WTF has no types
    """`known_as`: what the rules call a field, where the form calls it otherwise."""

    known_as: ClassVar[Mapping[str, str]] = {}

    def refused(self, reason: Invalid) -> None:
        known = {self.known_as.get(name, name): text for name, text in reason.fields.items()}
        for name, text in known.items():
            if name in self:
                self[name].errors = [text[:1].upper() + text[1:]]
        if not known or set(known) - {field.name for field in self}:
            self.form_errors = [str(reason)]


class Whole(IntegerField):
    """What cannot be read as a number stays in the field, and one sentence says so."""

    def process_formdata(self, valuelist: list[Any]) -> None:
        try:
            super().process_formdata(valuelist)
        except ValueError as error:
            raise ValueError("Write a whole number.") from error


class Amount(Field):
    """Money: text in the form, micro-units in `data`; empty is None.

    Many write `12,50`; `1,000` may mean two things, and is refused.
    """

    widget = TextInput()

    def _value(self) -> str:
        if self.raw_data:
            return str(self.raw_data[0])
        return "" if self.data is None else plain_amount(self.data)

    def process_formdata(self, valuelist: list[Any]) -> None:
        text = str(valuelist[0]).strip() if valuelist else ""
        self.data = None
        if not text:
            return
        if _DECIMAL_COMMA.fullmatch(text):
            text = text.replace(",", ".")
        try:
            self.data = parse_amount(text)
        except Invalid as reason:
            raise ValueError("Write an amount such as 12.50.") from reason


def readable(_form: FlaskForm, field: Field) -> None:
    """One complaint is enough."""
    if field.errors:
        raise StopValidation


def not_negative(_form: FlaskForm, field: Field) -> None:
    if field.data < 0 or field.data > LARGEST:
        raise ValidationError("Write an amount that is not below zero, and not that large.")
