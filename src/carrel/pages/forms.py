"""How Django forms look: labels, help and errors beside each field, all errors in a summary at the top.

Set `FORM_RENDERER = "carrel.pages.forms.FormRenderer"`; a page then says `{{ form }}` inside its `<form>`.
"""

from django.forms import BoundField
from django.forms.renderers import DjangoTemplates


class PageBoundField(BoundField):
    """A field that knows the id a link can lead to: that of its first choice, where it is a list of choices."""

    @property
    def first_id(self) -> str:
        return self.id_for_label or (f"{self.auto_id}_0" if self.auto_id else "")

    @property
    def is_checkbox(self) -> bool:
        return self.widget_type == "checkbox"


class FormRenderer(DjangoTemplates):
    form_template_name = "pages/forms/form.html"
    field_template_name = "pages/forms/field.html"
    bound_field_class = PageBoundField
