"""The addresses of tasks."""

from django.urls import path

from approvals import views

urlpatterns = [
    path("tasks/", views.tasks, name="tasks"),
    path("tasks/done/", views.tasks_done, name="tasks_done"),
    path("tasks/nobody/", views.tasks_nobody, name="tasks_nobody"),
    path("tasks/<int:pk>/", views.task, name="task"),
    path("tasks/<int:pk>/assign/", views.task_assign, name="task_assign"),
]
