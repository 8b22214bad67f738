"""The routes of django_peer.py."""

from django.urls import include, path

urlpatterns = [path("pyas2/", include("pyas2.urls"))]
