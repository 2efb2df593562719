"""For properties whose examples cost much: fewer of them, in each profile."""

from hypothesis import settings

# conftest.py has loaded the profile before any module of tests is imported.
costly = settings(max_examples=settings().max_examples // 2)
# For examples of many git commands each.
dear = settings(max_examples=settings().max_examples // 4, deadline=None)
