"""`eventbridge demo`: the bridge on embedded servers, with sample sessions, and the pages that they reach."""
