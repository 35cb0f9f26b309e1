from django.db import migrations

from crm.text_tables import table_of_texts


class Migration(migrations.Migration):

    dependencies = [
        ('customers', '0005_list_sorts'),
    ]

    operations = [
        *table_of_texts('customers', 'CustomerText', 'Customer'),
        *table_of_texts('customers', 'ContactText', 'Contact'),
    ]
