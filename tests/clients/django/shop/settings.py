"""Settings of the shop: a database and a cache in memory, no sessions, metrics and tracing on."""

SECRET_KEY = "not a secret: the shop serves the loopback address only"
ALLOWED_HOSTS = ["127.0.0.1", "localhost"]
ROOT_URLCONF = "shop.urls"
INSTALLED_APPS = ["django_prometheus"]
MIDDLEWARE = [
    "django_prometheus.middleware.PrometheusBeforeMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django_prometheus.middleware.PrometheusAfterMiddleware",
]
# As django-prometheus wants them, so that it counts what they do.
DATABASES = {"default": {"ENGINE": "django_prometheus.db.backends.sqlite3", "NAME": ":memory:"}}
CACHES = {"default": {"BACKEND": "django_prometheus.cache.backends.locmem.LocMemCache"}}
TIME_ZONE = "UTC"
USE_TZ = True
# The root logger is set up by OpenTelemetry's logging instrumentation (see telemetry.py).
LOGGING_CONFIG = None
