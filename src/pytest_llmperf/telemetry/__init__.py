"""Results as OpenTelemetry's spans and metrics: values in the middle, and one module that hands them to an SDK.

`result` and `call` say what the spans of a test are, as plain values (`span`), in the terms of `conventions`; `outlet`
alone knows OpenTelemetry, and only where somebody has set it up. Nothing here knows pytest, and nothing decides.
Questions and answers never leave: no span holds what was asked or said, nor the text of an error, which may quote it.
Names of tests and arms are told as they are.
"""
