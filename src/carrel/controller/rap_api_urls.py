"""URLs of the RAP API, to be included at `controller/v1/`. Each works with and without its trailing slash."""

import re

from django.urls import re_path

from carrel.controller.rap_api import ENDPOINTS

urlpatterns = [
    re_path(f"^{re.escape(view.endpoint.path.rstrip('/'))}/?$", view, name=f"rap-api-{view.__name__}")
    for view in ENDPOINTS
]
