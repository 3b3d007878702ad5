"""gunicorn's settings: `gunicorn --config webpanel/gunicorn.conf.py webpanel.wsgi:app`.

Where to listen is not said here: systemd hands over the socket ($LISTEN_FDS), the local stack says
`--bind fd://N`.  https://docs.gunicorn.org/en/stable/settings.html
"""

worker_class = "gthread"
workers = 2
threads = 4
timeout = 30  # seconds without a sign of life from a worker
graceful_timeout = 10  # seconds for requests at a stop
keepalive = 5
control_socket_disable = True  # gunicornc's socket in $HOME; nobody uses it
accesslog = "-"
