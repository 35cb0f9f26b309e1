from django.db import migrations, models

from crm.only_grows import keep


class Migration(migrations.Migration):

    dependencies = [
        ('crm', '0018_bulk_row_field'),
    ]

    operations = [
        migrations.AddIndex(
            model_name='audit',
            index=models.Index(fields=['at'], name='audit_at'),
        ),
        *keep('crm', 'Audit'),
    ]
