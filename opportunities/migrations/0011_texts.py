from django.db import migrations

from crm.text_tables import table_of_texts


class Migration(migrations.Migration):

    dependencies = [
        ('customers', '0006_texts'),
        ('opportunities', '0010_stage_settings'),
    ]

    operations = [
        *table_of_texts('opportunities', 'OpportunityText', 'Opportunity'),
    ]
