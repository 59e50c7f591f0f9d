"""Attribution: touches + conversion -> credit. What each send is given of what was bought after it.

rules.py    which contacts count, for how long, by which models
touches.py  the timeline -> touches and conversions
shares.py   a model's weights; an amount split by them, exact to the micro
credit.py   touches, conversions -> credits

The same as a query over the timeline: agents/reports/attribution.py. docs/attribution.md says both.
"""
