"""The pages: a fast one, a slow one, and the metrics."""

from django.urls import include, path

from . import views

urlpatterns = [
    path("fast", views.fast, name="fast"),
    path("slow", views.slow, name="slow"),
    path("", include("django_prometheus.urls")),
]
