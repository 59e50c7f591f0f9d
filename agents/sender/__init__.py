"""The reference sender: what reads `send-commands` and delivers, as a provider's would.

ledger     what became of each send: nothing is delivered twice
letters    template + context -> subject, text, HTML
last_look  the newest consent of an address; the clocks of `consent`
clocks     the clock by which `valid_until` is judged
smtp       delivery by SMTP; a catcher to deliver to in the demo and the tests
desk       one command: known? expired? still consented? deliver, settle
reference  the consumer around it
"""
