"""The addresses of opportunities."""

from django.urls import path

from opportunities import follow_up_views, handover_views, line_views, reports, views
from opportunities.board import Board
from opportunities.cell_views import OpportunityCells
from opportunities.follow_up_lists import FollowUpList
from opportunities.forms import OwnerPicker
from opportunities.line_forms import ProductPicker
from opportunities.lists import OpportunityList
from opportunities.menu_views import FollowUpMenu, OpportunityMenu
from opportunities.pickers import FollowedCustomerPicker, FollowedPicker

urlpatterns = [
    *OpportunityList.paths("opportunities/"),
    OpportunityCells.path("opportunities/"),
    OpportunityMenu.path("opportunities/"),
    *Board.paths("opportunities/board/"),
    path("opportunities/new/", views.new, name="opportunity_new"),
    path("opportunities/pick/", FollowedPicker.as_view(), name="opportunity_pick"),
    path("customers/pick-followed/", FollowedCustomerPicker.as_view(), name="followed_customer_pick"),
    path("opportunities/owners/", OwnerPicker.as_view(), name="owner_pick"),
    path("opportunities/<int:pk>/", views.record, name="opportunity"),
    path("opportunities/<int:pk>/edit/", views.edit, name="opportunity_edit"),
    path("opportunities/<int:pk>/lines/", line_views.lines, name="opportunity_lines"),
    path("opportunities/<int:pk>/history/", views.history, name="opportunity_history"),
    path("opportunities/<int:pk>/sign/", views.sign, name="opportunity_sign"),
    path("opportunities/<int:pk>/terminate/", views.terminate, name="opportunity_terminate"),
    path("opportunities/<int:pk>/withdraw/", views.withdraw, name="opportunity_withdraw"),
    path("opportunities/<int:pk>/drop/", views.drop, name="opportunity_drop"),
    path("opportunities/<int:pk>/void/", views.void, name="opportunity_void"),
    path("opportunities/<int:pk>/move/", views.move, name="opportunity_move"),
    path("opportunities/<int:pk>/transfer/", views.transfer, name="opportunity_transfer"),
    path("opportunities/<int:pk>/share/", views.share, name="opportunity_share"),
    path("opportunities/<int:pk>/unshare/", views.unshare, name="opportunity_unshare"),
    path("opportunities/<int:pk>/contact/", views.contact, name="opportunity_contact"),
    path("opportunities/<int:pk>/reassign/", views.reassign, name="opportunity_reassign"),
    path("opportunities/<int:pk>/copy/", views.copy, name="opportunity_copy"),
    path("opportunities/<int:pk>/correct/", views.correct, name="opportunity_correct"),
    path("opportunities/<int:pk>/comments/", views.comments, name="opportunity_comments"),
    path("opportunities/<int:pk>/follow-up/", follow_up_views.opportunity_follow_up, name="opportunity_follow_up"),
    path("customers/<int:pk>/follow-up/", follow_up_views.customer_follow_up, name="customer_follow_up"),
    path("opportunities/<int:pk>/follow-ups/", follow_up_views.opportunity_follow_ups, name="opportunity_follow_ups"),
    path("customers/<int:pk>/follow-ups/", follow_up_views.customer_follow_ups, name="customer_follow_ups"),
    path("contacts/<int:pk>/follow-ups/", follow_up_views.contact_follow_ups, name="contact_follow_ups"),
    *FollowUpList.paths("follow-ups/"),
    FollowUpMenu.path("follow-ups/"),
    path("follow-ups/<int:pk>/done/", follow_up_views.follow_up_done, name="follow_up_done"),
    path("follow-ups/<int:pk>/edit/", follow_up_views.follow_up_edit, name="follow_up_edit"),
    path("follow-ups/<int:pk>/delete/", follow_up_views.follow_up_delete, name="follow_up_delete"),
    path("people/<int:pk>/handover/", handover_views.handover, name="handover"),
    path("people/<int:pk>/handover/<int:job>/", handover_views.handover_summary, name="handover_summary"),
    path("products/", line_views.products, name="products"),
    path("products/pick/", ProductPicker.as_view(), name="product_pick"),
    path("reports/reviews/", reports.reviews, name="reviews"),
    path("ranking/", reports.ranking, name="ranking"),
]
