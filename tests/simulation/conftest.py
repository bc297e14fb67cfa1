"""The helpers of schedules assert as tests do: what was compared is shown."""

import pytest

pytest.register_assert_rewrite("sites")
