"""What gunicorn imports: `gunicorn webpanel.wsgi:app`.  Reads $FRANKING_SETTINGS."""

from webpanel import create_app

app = create_app()
