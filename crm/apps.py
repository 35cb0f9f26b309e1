from django.apps import AppConfig
from django.contrib.admin import apps as administration
from django.db.models.signals import post_migrate


class CrmConfig(AppConfig):
    name = "crm"

    def ready(self):
        from crm import checks, shipped  # noqa: F401  registers the checks; not before the models are there

        post_migrate.connect(shipped.load, sender=self, dispatch_uid="shipped")


class AdministrationConfig(administration.AdminConfig):
    default = False  # the one of this folder is CrmConfig
    default_site = "crm.administration.Site"
