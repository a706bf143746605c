"""The portal: gallery of published sets, blinded reader studies, reports and notifications, in a browser.

Reads sets, reports and studies from the store through chestgan_core, keeps accounts and answers in a database of its
own, and knows no pipeline. Rooms: database/ (tables, migrations), security/ (who asks), pages/ (templates, languages),
and one room per kind of visitor: public/, accounts/, reading/, administration/, machine/.
"""
