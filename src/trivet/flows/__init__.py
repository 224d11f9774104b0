"""The verbs a person knows. Only this room knows more than one stage; each flow uses the stages that its name promises."""
