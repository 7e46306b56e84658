"""The business side: tariffs, invoices and quotes, exact to the cent."""
