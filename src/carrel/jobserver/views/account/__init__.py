"""One's own account: who one is, how one signs in, tokens, roles and agreements; and the public page of a person."""

from itertools import chain

from carrel.jobserver.rights.access import Page
from carrel.jobserver.views.account import person, rights, security, tokens, you

PAGES: list[Page] = list(chain(you.PAGES, security.PAGES, tokens.PAGES, rights.PAGES, person.PAGES))
