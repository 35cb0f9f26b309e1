"""The addresses of tasks and of routes."""

from django.urls import path

from approvals import route_views, views

urlpatterns = [
    path("tasks/", views.tasks, name="tasks"),
    path("tasks/done/", views.tasks_done, name="tasks_done"),
    path("tasks/nobody/", views.tasks_nobody, name="tasks_nobody"),
    path("routes/", route_views.routes, name="routes"),
    path("tasks/<int:pk>/", views.task, name="task"),
    path("tasks/<int:pk>/assign/", views.task_assign, name="task_assign"),
]
