"""The pages: a fast one, a slow one, one that reads, two that fail, and the metrics."""

from django.urls import include, path

from . import views

urlpatterns = [
    path("fast", views.fast, name="fast"),
    path("slow", views.slow, name="slow"),
    path("stock", views.stock, name="stock"),
    path("broken", views.broken, name="broken"),
    path("misread", views.misread, name="misread"),
    path("", include("django_prometheus.urls")),
]
