"""The verbs. The only place where objects are wired; each verb imports what it needs."""
