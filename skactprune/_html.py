"""Where the documentation of a class is, for what notebooks show of it."""

DOCS = "https://skactprune.readthedocs.io/en/stable"
# Where classes are public, by the folder or file that they are in; others are at the top.
FAMILIES = {"method": "methods"} | {name: name for name in ("methods", "schedules", "triggers")}


class LinksToDocs:
    """Mixin: the page of the class is linked in its HTML representation.

    The hooks are those of scikit-learn's `_HTMLDocumentationLinkMixin`, which must come later.
    """

    _doc_link_module = "skactprune"
    _doc_link_template = DOCS + "/api/generated/{home}.{name}.html"

    def _doc_link_url_param_generator(self) -> dict[str, str]:
        parts = type(self).__module__.split(".")
        home = [parts[0], *(FAMILIES[part] for part in parts if part in FAMILIES)]
        return {"home": ".".join(home), "name": type(self).__name__}
