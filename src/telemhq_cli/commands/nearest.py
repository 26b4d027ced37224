"""What somebody meant who named something that is not there."""

from telemhq_agents.nearest import did_you_mean, missed, nearest

__all__ = ["did_you_mean", "missed", "nearest"]
