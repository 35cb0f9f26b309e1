"""The addresses of tasks and of routes."""

from django.urls import path

from approvals import route_views, views
from approvals.bulk import TaskList
from approvals.lists import DoneTaskList

urlpatterns = [
    path("tasks/", views.tasks, name="tasks"),
    *DoneTaskList.paths("tasks/done/"),
    path("tasks/nobody/", views.tasks_nobody, name="tasks_nobody"),
    path("routes/", route_views.routes, name="routes"),
    *TaskList.bulk_paths("tasks/"),
    path("tasks/<int:pk>/", views.task, name="task"),
    path("tasks/<int:pk>/assign/", views.task_assign, name="task_assign"),
]
