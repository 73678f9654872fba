"""The Django project: settings, urls, wsgi; which apps one process serves."""
