"""URLs of login, password, language, API tokens and the audit log."""

from __future__ import annotations

from django.urls import path

from netadmin.access.views import audit_log, session, tokens

urlpatterns = [
    path("login/", session.login, name="login"),
    path("logout/", session.logout, name="logout"),
    path("password/", session.password_change, name="password_change"),
    path("language/", session.language, name="language"),
    path("tokens/", tokens.index, name="tokens"),
    path("tokens/add/", tokens.add, name="token_add"),
    path("tokens/<int:pk>/edit/", tokens.edit, name="token_edit"),
    path("tokens/<int:pk>/revoke/", tokens.revoke, name="token_revoke"),
    path("audit/", audit_log.index, name="audit"),
]
