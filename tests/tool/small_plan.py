"""A template of three routes, for the tests of several commands."""

PLAN = """\
Parameters:
  Configure: {Type: String, Default: 'arn:aws:lambda:eu-central-1:1:function:c'}
Resources:
  Care: {Type: 'AWS::SNS::Topic', Properties: {TopicName: hailback-care}}
  Forum:
    Type: Custom::Source
    Properties:
      {ServiceToken: !Ref Configure, ServiceTimeout: 120, Connector: discourse, BaseUrl: 'https://forum.acme.com',
       Secret: hailback/forum}
  Tracker:
    Type: Custom::System
    Properties:
      {ServiceToken: !Ref Configure, ServiceTimeout: 120, Connector: roundup, BaseUrl: 'https://tracker.acme.com/',
       Secret: hailback/tracker}
  Plan:
    Type: Custom::Plan
    Properties:
      ServiceToken: !Ref Configure
      ServiceTimeout: 120
      Routes:
        - Name: loud
          When: {author: {followers: [{numeric: ['>', 1000]}]}}
          Case: [!Ref Tracker]
          Notify: [!Ref Care]
        - Name: thanks
          When: {text: [{prefix: Thanks}], source: [!Ref Forum]}
          Open: count
        - Name: everything-else
          Case: [!Ref Tracker]
          Notify: [!Ref Care]
"""
