"""A lookup, a search and a timeline by the Python client that openapi-python-client makes from docs/openapi.json."""

import sys

from dispatchd_client import AuthenticatedClient
from dispatchd_client.api.log import get_timeline, search_log
from dispatchd_client.api.lookup import look_up_batch, lookup
from dispatchd_client.models import (
    BatchAnswer,
    BatchRequest,
    ChangeEntry,
    HandleInvalidProblem,
    HandleReason,
    Kind,
    LookupAnswer,
    LookupRecord,
    LookupsEntry,
    Order,
    Reason,
    RecordPage,
    RefusedItem,
    Route,
    Timeline,
)

phones_url, operators_url, device_token, operator_token, handle = sys.argv[1:]
phones = AuthenticatedClient(base_url=phones_url, token=device_token)
operators = AuthenticatedClient(base_url=operators_url, token=operator_token)

answer = lookup.sync(handle, client=phones)
assert isinstance(answer, LookupAnswer) and answer.route is Route.IMESSAGE, answer

batch = look_up_batch.sync(client=phones, body=BatchRequest(handles=[handle, "nonsense"]))
assert isinstance(batch, BatchAnswer), batch
refused = [item for item in batch.answers if isinstance(item, RefusedItem)]
assert [item.error.reason for item in refused] == [HandleReason.NOT_A_NUMBER], batch

invalid = lookup.sync("1", client=phones, region="US")
assert isinstance(invalid, HandleInvalidProblem) and invalid.reason is HandleReason.TOO_SHORT, invalid

page = search_log.sync(client=operators, handle=handle, kind=Kind.LOOKUP, order=Order.ASC, limit=10)
assert isinstance(page, RecordPage), page
lookups = [record for record in page.records if isinstance(record, LookupRecord)]
assert len(lookups) == 2 and all(record.took_us >= 0 for record in lookups), page

timeline = get_timeline.sync(handle, client=operators)
assert isinstance(timeline, Timeline), timeline
change, asked = timeline.entries
assert isinstance(change, ChangeEntry) and isinstance(asked, LookupsEntry), timeline
assert asked.reason is Reason.LIVE_DEVICE and asked.count == 2, asked
assert timeline.summary.route is Route.IMESSAGE, timeline.summary
